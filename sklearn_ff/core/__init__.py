"""The torch core: the algorithm on one page, and the training loop around it."""
