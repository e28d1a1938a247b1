"""Milliseconds that a batch of images takes in our augmentations, and in torchvision's.

    OMP_NUM_THREADS=1 python examples/benchmarks/augmentation.py \\
        --output examples/benchmarks/results/augmentation.jsonl

A transform of torchvision is called image by image, as an estimator calls it. A time is the median
of `--repeats` batches of 128 images, after one that is not counted; the names that do the same are
timed in turn.
"""

import argparse
import time
from statistics import median

import torch
from results import emit, machine
from torchvision.transforms import v2

from sklearn_ff._draws import Draws
from sklearn_ff.augmentations import Flips, Shifts, augmentations

SHAPES = [(1, 28, 28), (3, 32, 32), (3, 96, 96)]
N = 128


def cases(size):
    """Augmentations of images of `size` x `size` pixels; pairs of one name do the same."""
    crop, flip = v2.RandomCrop(size, padding=2), v2.RandomHorizontalFlip()
    return [
        ("shifts", Shifts(2), crop),
        ("flips", Flips(), flip),
        ("shifts, flips", [Shifts(2), Flips()], v2.Compose([crop, flip])),
        ("rotations", None, v2.RandomRotation(10)),
        ("affine maps", None, v2.RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1))),
        ("erasing", None, v2.RandomErasing()),
        ("resized crops", None, v2.RandomResizedCrop(size, scale=(0.6, 1.0), antialias=True)),
        ("brightness, contrast", None, v2.ColorJitter(0.3, 0.3)),
        ("elastic", None, v2.ElasticTransform(20.0)),
    ]


def main():
    args = arguments()
    torch.set_num_threads(1)
    for shape in SHAPES:
        images = torch.rand(N, *shape, generator=torch.Generator().manual_seed(0))
        for name, *pair in cases(shape[-1]):
            parts = [part and augmentations.get(part) for part in pair]
            ours, theirs = timed(parts, images, args.repeats)
            result = {"benchmark": "augmentation", "name": name, "shape": shape, "images": N}
            result |= {"ours_ms": ours, "torchvision_ms": theirs, "quiet": args.quiet}
            emit(result | machine(), args.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--quiet", action="store_true", help="note that nothing else was running")
    parser.add_argument("--output", help="file to append the results to")
    return parser.parse_args()


def timed(parts, images, repeats):
    """Median milliseconds of each part, or None."""
    draws = Draws(torch.Generator().manual_seed(0), "cpu")
    seconds = [[] for _ in parts]
    for _ in range(repeats + 1):
        for part, found in zip(parts, seconds, strict=True):
            start = time.perf_counter()
            if part:
                part(images.clone(), draws)
            found.append(time.perf_counter() - start)
    return [
        round(1000 * median(found[1:]), 3) if part else None
        for part, found in zip(parts, seconds, strict=True)
    ]


if __name__ == "__main__":
    main()
