"""The plan of the machine time: which runs, with how many seeds, in the order of their worth.

    python examples/benchmarks/run.py --plan --minutes 60 --threads 1

trains what has no line yet. Minutes of a run are those of its processor, estimated beforehand; two
runs with one thread each keep two cores busy, so a run counts with half of them. Three seeds where
that is at most ten minutes, two up to thirty, one beyond; three of the two founding programs.
"""

from dataclasses import dataclass, field

CORES = 2


@dataclass(frozen=True)
class Planned:
    """One named run; `seeds` are set by its time, unless they are given."""

    run: str
    processor_minutes: float
    seeds: int = 0
    rows: str = "test"  # or "held_out"
    gpu: bool = False  # whether it would take days on a processor

    @property
    def minutes(self):
        return self.processor_minutes / CORES

    @property
    def n_seeds(self):
        return self.seeds or (3 if self.minutes <= 10 else 2 if self.minutes <= 30 else 1)


@dataclass(frozen=True)
class Plan:
    """Groups of runs, the most worth first: `title: [Planned, ...]`."""

    groups: dict = field(default_factory=dict)

    def in_order(self, gpu=False):
        """Pairs of a planned run and a seed, group by group; the first seeds of a group first."""
        for every in self.groups.values():
            group = [planned for planned in every if gpu or not planned.gpu]
            for seed in range(max((planned.n_seeds for planned in group), default=0)):
                yield from ((planned, seed) for planned in group if seed < planned.n_seeds)

    def of(self, name):
        """The entry of a run; one without estimate, if it is not in the plan."""
        found = [planned for group in self.groups.values() for planned in group]
        return next((planned for planned in found if planned.run == name), Planned(name, 0))


def tried(run, processor_minutes):
    return Planned(run, processor_minutes, seeds=1, rows="held_out")


def on_gpu(run):
    return Planned(run, 600, seeds=1, gpu=True)


PLAN = Plan(
    {
        "Tried on held-out rows": [
            tried("try_dense_wide", 4),
            tried("try_dense_readout_hard", 3),
            tried("try_dense_wider", 12),
            tried("try_dense_long", 9),
            tried("try_dense_inputs", 8),
            tried("try_dense_vote", 15),
            tried("try_fashion_hard", 4),
            tried("try_fashion_local", 3),
            tried("try_fashion_wide", 10),
            tried("try_shifts_pred", 20),
            tried("try_fashion_varied_pred", 20),
            tried("try_fashion_varied", 12),
            tried("try_fashion_varied_readout", 9),
            tried("try_conv_pairs", 22),
            tried("try_conv_similarity", 22),
            tried("try_fashion_conv_pairs", 22),
            tried("try_features_long", 30),
            tried("try_features_more_shifts", 16),
        ],
        "Our networks": [
            Planned("mnist_conv", 17),
            Planned("fashion_conv", 17),
            Planned("mnist_dense_shifts", 15),
            Planned("mnist_dense_shifts_backprop", 12),
            Planned("fashion_conv_pairs", 30, seeds=3),
            Planned("fashion_conv_pairs_backprop", 30, seeds=1),
            Planned("mnist_dense_vote", 14),
            Planned("fashion_dense", 4),
            Planned("fashion_dense_backprop", 3),
        ],
        "Published methods": [
            Planned("mono_forward", 3),
            Planned("mono_forward_backprop", 3),
            Planned("hff", 4),
            Planned("hff_backprop", 3),
            Planned("mono_forward_fashion", 3),
            Planned("mono_forward_fashion_backprop", 3),
            Planned("symba", 20),
            Planned("symba_backprop", 9),
            Planned("swish", 20),
            Planned("swish_backprop", 4),
            Planned("scff", 15),
            Planned("local_loss", 9),
            Planned("local_loss_backprop", 6),
            Planned("local_loss_pred", 20),
            Planned("local_loss_pred_backprop", 22, seeds=1),
            Planned("local_loss_fashion", 18, seeds=1),
            Planned("local_loss_fashion_backprop", 12, seeds=1),
            Planned("hinton_unsupervised", 22, seeds=1),
            Planned("hinton_local", 22, seeds=1),
            Planned("swish_2000", 25, seeds=1),
            Planned("swish_2000_backprop", 5, seeds=1),
            Planned("layer_collaboration", 11, seeds=1),
            Planned("layer_collaboration_backprop", 4, seeds=1),
            Planned("hinton_jitter", 24, seeds=1),
            Planned("hinton_jitter_backprop", 12, seeds=1),
            Planned("rmwkwok_routed_500", 20, seeds=1),
            Planned("rmwkwok_routed_500_backprop", 5, seeds=1),
            Planned("scodellaro", 14, seeds=1),
            Planned("scodellaro_backprop", 14, seeds=1),
            Planned("trifecta", 21, seeds=1),
            Planned("trifecta_backprop", 21, seeds=1),
            Planned("cwcomp", 16, seeds=1),
            Planned("cwcomp_backprop", 16, seeds=1),
            Planned("deeper_forward", 10, seeds=1),
            Planned("deeper_forward_backprop", 10, seeds=1),
            Planned("asge", 44, seeds=1),
            Planned("asge_backprop", 44, seeds=1),
            Planned("mono_forward_conv", 23, seeds=1),
            Planned("mono_forward_conv_backprop", 23, seeds=1),
            Planned("hff_conv", 32, seeds=1),
            Planned("hff_conv_backprop", 32, seeds=1),
        ],
        "A subset of CIFAR-10": [
            Planned("cifar_readout", 50, seeds=1),
            Planned("cifar_backprop", 50, seeds=1),
            Planned("cifar_similarity", 50, seeds=1),
            Planned("cifar_groups", 50, seeds=1),
            Planned("cifar_labels", 50, seeds=1),
        ],
        "What the five-digit goodness depends on": [
            Planned("rmwkwok_500_short", 4, seeds=3),
            Planned("rmwkwok_500_glorot_passes", 4, seeds=1),
            Planned("rmwkwok_500_passes", 5, seeds=1),
            Planned("rmwkwok_500_glorot", 5, seeds=1),
            Planned("rmwkwok_500_all_layers", 5, seeds=1),
            Planned("rmwkwok_500_threshold_1", 5, seeds=1),
            Planned("rmwkwok_500_threshold_10", 5, seeds=1),
            Planned("rmwkwok_500_batch_128", 9, seeds=1),
            Planned("rmwkwok_500_eps", 4, seeds=1),
        ],
        "The founding programs": [
            Planned("rmwkwok_backprop", 0.5),
            Planned("mpezeshki_our_defaults", 2.5),
            Planned("mpezeshki", 80, seeds=3),
            Planned("rmwkwok_dense", 16),
            Planned("rmwkwok_dense_supervised", 16),
            Planned("rmwkwok_conv_supervised", 16),
            Planned("rmwkwok_conv", 30, seeds=3),
            Planned("rmwkwok_500_supervised", 30, seeds=3),
            Planned("rmwkwok_500", 30, seeds=3),
            Planned("mpezeshki_never_true", 80),
        ],
        "Other published methods": [
            Planned("hinton_supervised", 35),
            Planned("loewe", 30),
        ],
        "At full length, on a GPU": [
            on_gpu("rmwkwok_2000"),
            on_gpu("rmwkwok_2000_supervised"),
            on_gpu("hinton_jitter_full"),
            on_gpu("hinton_jitter_full_backprop"),
            on_gpu("local_loss_full"),
            on_gpu("local_loss_full_backprop"),
            on_gpu("local_loss_vgg8b"),
            on_gpu("local_loss_vgg8b_backprop"),
            on_gpu("scodellaro_full"),
            on_gpu("scodellaro_full_backprop"),
            on_gpu("trifecta_full"),
            on_gpu("trifecta_full_backprop"),
            on_gpu("deeper_forward_full"),
            on_gpu("deeper_forward_full_backprop"),
        ],
    }
)
