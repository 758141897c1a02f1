"""Index: which events there are, and which of them are learnt from."""
