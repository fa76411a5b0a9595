"""What hand-written backpropagation is timed against: the same networks in PyTorch, and its autograd.

Every task is prepared in a process of its own (`peers.Worker`); what each has computed is said beside its time.
"""

import importlib
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ebm_np.autoencoders import autoencoder, denoising, network, variational
from ebm_np.data import mnist
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.parameters import tree_map
from ebm_np.sparse import dictionary, lista, sparse_coding
from scripts import materials, peers

BATCH, LAM = 1_000, 1.0


class Training(NamedTuple):
    """A step of training wanted: the gradient of LISTA's loss over a batch of patches."""

    params: lista.Params
    y: Array
    z_target: Array
    n_steps: int


def patches_task(k: int, n_steps: int, dtype: str) -> Training:
    """Return 1,000 patches of 10 x 10 pixels, their optimal codes with k atoms, and the untrained network."""
    rng = np.random.default_rng(0)
    y, _, _ = materials.contrast_patches(rng, 20 * BATCH, 1, 10)
    W = dictionary.fit(dictionary.init_from_samples(rng, y, k), y, rng, lam=LAM).params.W
    z_target = sparse_coding.infer(sparse_coding.Params(W), y[:BATCH], LAM, "active_set", tol=1e-4).z
    params = lista.from_dictionary(W, LAM)
    given = tree_map(lambda a: np.ascontiguousarray(a, dtype=dtype), (params, y[:BATCH], z_target))
    return Training(*given, n_steps)


def ours(given: Training) -> Callable[[], Any]:
    """Prepare our own backpropagation through time."""
    return lambda: lista.loss_grad_params(*given)


def pytorch(given: Training) -> Callable[[], Any]:
    """Prepare the network as one writes it in PyTorch."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(peers.threads())
    W_e, S, theta = weights = [torch.tensor(p, requires_grad=True) for p in given.params]
    y, z_target = torch.tensor(given.y), torch.tensor(given.z_target)

    def shrink(u: Any) -> Any:
        return torch.sign(u) * torch.relu(torch.abs(u) - theta)

    def run() -> Any:
        for weight in weights:
            weight.grad = None
        driven = y @ W_e
        z = shrink(driven)
        for _ in range(given.n_steps - 1):
            z = shrink(driven + z @ S.T)
        ((z - z_target) ** 2).sum(dim=1).mean().backward()
        return [weight.grad for weight in weights if weight.grad is not None]  # with K = 1 there is no S

    return run


STEPS = {
    f"training step: {k} codes, K = {n_steps}, {dtype}": (k, n_steps, dtype)
    for dtype, k, n_steps in itertools.product(("float32", "float64"), (100, 400), (1, 3, 7))
}
PEERS: dict[str, Callable[[Training], Callable[[], Any]]] = {"our lista": ours, "PyTorch autograd": pytorch}


def stepper(task: str, peer: str) -> tuple[Callable[[], Any], str]:
    """Return a training step, and the norms of the gradients that it finds."""
    run = PEERS[peer](patches_task(*STEPS[task]))
    norms = (np.linalg.norm(np.asarray(g, np.float64)) for g in run())
    return run, f"gradients {' '.join(f'{norm:.5g}' for norm in norms if norm)}"


class Epoch(NamedTuple):
    """An epoch of training wanted: 60,000 digits in batches of 256, pixels from -1 to 1, as in the lecture."""

    params: network.Params
    y: Array
    model: autoencoder.Model
    dropout: float
    """Of the input; 0 for a plain auto-encoder."""


def epoch_task(k: int, dropout: float) -> Epoch:
    """Return 784 - k - 784 with tanh, untrained, in float32."""
    y = 2 * mnist.load_or_synthetic("train", dtype=np.float32).images - 1
    params = network.init(np.random.default_rng(0), (784, k), dtype=np.float32)
    return Epoch(network.untied(params), y, autoencoder.Model("tanh", "tanh"), dropout)


def our_epoch(given: Epoch) -> Callable[[], float]:
    """Prepare our `fit`; a run returns the mean squared error, seen during the epoch, of a pixel."""

    def run() -> float:
        rng = np.random.default_rng(0)
        corruption = denoising.Corruption("dropout", given.dropout)
        if given.dropout:
            fitted = denoising.fit(given.params, given.y, rng, given.model, corruption, n_epochs=1)
        else:
            fitted = autoencoder.fit(given.params, given.y, rng, given.model, n_epochs=1)
        return fitted.history[0] / given.y.shape[1]

    return run


def torch_epoch(given: Epoch, fused: bool) -> Callable[[], float]:
    """Prepare the same in PyTorch, with the data as one tensor: a `DataLoader` would be slower."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(peers.threads())
    nn, y = torch.nn, torch.tensor(given.y)

    def run() -> float:
        (into, out) = layers = [_linear(torch, *layer) for layer in (*given.params.encoder, *given.params.decoder)]
        net = nn.Sequential(into, nn.Tanh(), out, nn.Tanh())

        def loss(batch: Any) -> Any:
            y_hat = nn.functional.dropout(batch, given.dropout) if given.dropout else batch
            return nn.functional.mse_loss(net(y_hat), batch)

        return _torch_epoch(torch, layers, y, 256, fused, loss)

    return run


EPOCHS = {
    f"an epoch of {'DAE' if dropout else 'AE'} 784-{k}-784": (k, dropout)
    for k, dropout in itertools.product((30, 500), (0.0, 0.5))
}
TRAINERS: dict[str, Callable[[Epoch], Callable[[], float]]] = {
    "our fit": our_epoch,
    "PyTorch": lambda given: torch_epoch(given, fused=False),
    "PyTorch, fused Adam": lambda given: torch_epoch(given, fused=True),
}


def trainer(task: str, peer: str) -> tuple[Callable[[], Any], str]:
    """Return an epoch of training, and the mean squared error that it saw."""
    run = TRAINERS[peer](epoch_task(*EPOCHS[task]))
    return run, f"error {run():.4f}"


class VariationalEpoch(NamedTuple):
    """An epoch of 784 - 400 - 20 - 400 - 784 wanted, over 60,000 digits in gray levels."""

    params: variational.Params
    y: Array
    batch_size: int


def variational_task(batch_size: int) -> VariationalEpoch:
    """Return the network, untrained, and the digits, in float32."""
    y = mnist.load_or_synthetic("train", dtype=np.float32).images
    return VariationalEpoch(variational.init(np.random.default_rng(0), dtype=np.float32), y, batch_size)


def our_variational_epoch(given: VariationalEpoch) -> Callable[[], float]:
    """Prepare our `fit`; a run returns the mean negative ELBO, seen during the epoch, in nats."""
    params, y, batch_size = given

    def run() -> float:
        model, rng = variational.Model(), np.random.default_rng(0)
        return float(variational.fit(params, y, rng, model, n_epochs=1, batch_size=batch_size).history[0])

    return run


def torch_variational_epoch(given: VariationalEpoch, fused: bool) -> Callable[[], float]:
    """Prepare the same in PyTorch, as its own example has it, with the data as one tensor."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(peers.threads())
    nn, y = torch.nn, torch.tensor(given.y)

    def run() -> float:
        layers = [_linear(torch, *layer) for layer in (*given.params.encoder, *given.params.decoder)]
        into, ball, out_of, back = layers

        def loss(batch: Any) -> Any:
            mu, log_v = ball(torch.relu(into(batch))).chunk(2, dim=1)
            z = mu + torch.randn_like(mu) * torch.exp(0.5 * log_v)
            logits = back(torch.relu(out_of(z)))
            cost = nn.functional.binary_cross_entropy_with_logits(logits, batch, reduction="sum")
            kl = 0.5 * torch.sum(mu.pow(2) + log_v.exp() - 1 - log_v)
            return (cost + kl) / len(batch)

        return _torch_epoch(torch, layers, y, given.batch_size, fused, loss)

    return run


VARIATIONAL_EPOCHS = {f"an epoch of VAE 784-400-20-400-784, batch {n}": n for n in (128, 256)}
VARIATIONAL_TRAINERS: dict[str, Callable[[VariationalEpoch], Callable[[], float]]] = {
    "our fit": our_variational_epoch,
    "PyTorch": lambda given: torch_variational_epoch(given, fused=False),
    "PyTorch, fused Adam": lambda given: torch_variational_epoch(given, fused=True),
}


def variational_trainer(task: str, peer: str) -> tuple[Callable[[], Any], str]:
    """Return an epoch of training, and the negative ELBO that it saw."""
    run = VARIATIONAL_TRAINERS[peer](variational_task(VARIATIONAL_EPOCHS[task]))
    return run, f"{run():.1f} nats"


def _linear(torch: Any, W: Array, b: Array) -> Any:
    layer = torch.nn.Linear(W.shape[1], W.shape[0])
    layer.weight.data, layer.bias.data = torch.tensor(W), torch.tensor(b)
    return layer


def _torch_epoch(
    torch: Any, layers: list[Any], y: Any, batch_size: int, fused: bool, loss: Callable[[Any], Any]
) -> float:
    """Train the layers for an epoch by Adam, and return the mean loss that was seen."""
    optimizer = torch.optim.Adam(torch.nn.ModuleList(layers).parameters(), lr=1e-3, fused=fused or None)
    total = 0.0
    for rows in torch.randperm(len(y)).split(batch_size):
        found = loss(y[rows])
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
        total += found.item() * len(rows)
    return total / len(y)
