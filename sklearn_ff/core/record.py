"""What a step leaves behind: loss and scores of every layer that has learned."""


class Record(list):
    """Loss and scores of every layer that has learned, in room that is taken for all at once.

    Between the activations of two layers they would keep the heap from using the same room again.
    """

    def __init__(self, n_layers):
        self.n_layers = n_layers

    def add(self, loss, g):
        if not self:
            self.losses = loss.new_empty(self.n_layers)
            self.scores = g.new_empty(self.n_layers, *g.shape)
        own = self.losses[len(self)].copy_(loss), self.scores[len(self)].copy_(g)
        self.append(own)

    def stacked(self):
        """The losses of the layers that have learned, (layers,), and the scores, (layers, ...)."""
        return self.losses[: len(self)], self.scores[: len(self)]
