"""Images: what each pixel and each telescope carries into the network."""
