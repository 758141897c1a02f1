"""What files of observations have, and files of simulations do not."""
