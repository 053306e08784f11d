"""tinyconv similar: the images whose features are nearest to those of a given one."""

import zlib
from pathlib import Path

import numpy as np

from .. import Sequential, execution
from ..data import prepare_image
from ..errors import TinyconvError
from ..evaluation import central, forward_all
from ..files import write_atomically
from ..setting import positive_int
from . import options
from .given import add_options
from .pictures import draw_sheet
from .run_folder import Run

ROWS = 4096  # features that are compared at a time


def add_parser(commands):
    command = options.parser(
        commands,
        "similar",
        "find the images that a trained network finds most similar",
        "tinyconv similar runs/alexnet-photographs cat.jpg --among photographs",
        "Images are compared by what the last hidden layer makes of them: the smallest Euclidean distance "
        "is nearest. Prints\n"
        "them and draws similar.png in the run folder, each query left of what was found. The features of "
        "DIR are computed\n"
        "once and kept in the run folder.",
    )
    command.add_argument("run_folder", metavar="RUN", type=Path, help="folder of a training run")
    command.add_argument(
        "images",
        metavar="IMAGE",
        type=Path,
        nargs="+",
        help="any image file; prepared as the training images were",
    )
    command.add_argument(
        "--among",
        metavar="mnist5k|mnist|cifar10|DIR",
        help="whose training images are searched (default: what the run was trained on)",
    )
    command.add_argument(
        "--data-dir",
        metavar="D",
        help="where the files of a data set lie (default: TINYCONV_DATA, else the user's cache folder)",
    )
    command.add_argument(
        "--count",
        type=positive_int,
        default=6,
        metavar="K",
        help="how many are shown for each image (default: 6)",
    )
    add_options(command, "threads")
    return command


def run(args):
    this = Run.open(args.run_folder)
    queries = [prepare_image(path, this.settings["preparation"]) for path in args.images]
    images, _ = this.data(args.among, args.data_dir)
    net, _ = this.trained()
    inputs, body = central(this.inputs(net)), without_output(net)
    options.check_shape(args.among or this.settings["data"], images, inputs, args.run_folder)
    features = _features(this, body, images, inputs, args.threads)
    cells = []
    for path, query in zip(args.images, queries):
        distances = _distances(
            features, execution.forward(body, inputs.testing(query[None]), args.threads)[0].ravel()
        )
        nearest = np.argsort(distances, kind="stable")[: args.count]
        print(f"{path}:")
        cells.append((query, path.name))
        for place, image in zip(nearest, images.read(nearest)):
            label = images.class_names[images.labels[place]]
            print(f"  {distances[place]:10.4g}  {label}  {name_of(images, place)}")
            cells.append((image, f"{label}\n{distances[place]:.4g}"))
    picture = this.folder / "similar.png"
    draw_sheet(picture, cells, 1 + len(nearest), max(1, 64 // max(images.shape[1:])))
    print(
        f"{picture}: the image left, then the nearest of {len(images)} of {images.name}, with their distance"
    )
    return 0


def without_output(net):
    """Return the network less its last layer, whose input is what the last hidden layer makes of an image."""
    *hidden, (name, last) = net.named_layers.items()
    if isinstance(last, Sequential) and len(last.layers) > 1:
        hidden.append((name, without_output(last)))
    if not hidden:
        raise TinyconvError(f"similar: {net!r} has no hidden layer, whose features could be compared")
    return Sequential(**dict(hidden), input_shape=net.input_shape)


def name_of(images, place):
    """What a user calls an image: its file, where it has one of its own."""
    if hasattr(images, "path"):
        return images.path(place)
    return images.names[place] if hasattr(images, "names") else f"{images.name}, image {place}"


def _features(this, body, images, inputs, threads):
    """(N, features) float32, mapped from a file in the run folder; computed where this network has not seen
    these images yet.
    """
    weights = 0
    for array in body.params.values():
        weights = zlib.crc32(np.ascontiguousarray(array), weights)
    path = this.folder / f"features-{weights:08x}-{images.fingerprint()}.npy"
    if path.exists():
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError):
            pass  # damaged: computed again
    for earlier in this.folder.glob("features-*.npy"):  # of weights that have been trained on since
        if not earlier.name.startswith(f"features-{weights:08x}-"):
            earlier.unlink()
    width = int(np.prod(body.output_shape((1, *inputs.shape))[1:]))

    def write(file):
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (len(images), width)}
        )
        for y in forward_all(body, images, inputs, threads, f"features of {images.name}"):
            file.write(np.ascontiguousarray(y, "<f4").tobytes())

    write_atomically(path, write)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _distances(features, query):
    """(N,) Euclidean distances of the rows of `features` from `query`, so many rows at a time that they need
    not all fit into memory.
    """
    return np.concatenate(
        [
            np.linalg.norm(features[first : first + ROWS] - query, axis=1)
            for first in range(0, len(features), ROWS)
        ]
    )
