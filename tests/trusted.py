"""What has no door: functions that trust their caller, and why."""

MATHEMATICS = """
foundations.costs: squared_error squared_error_grad binary_cross_entropy binary_cross_entropy_grad gaussian_kl
    gaussian_kl_grad
foundations.layers: affine affine_grad affine_vjp mlp mlp_forward mlp_backward mlp_grad mlp_vjp mlp_taylor init_mlp
foundations.numerics: softplus sigmoid
foundations.optimizers: tangent
foundations.parameters: tree_map leaves in_one_precision zeros_like inner flatten unflatten
foundations.proximal: shrink
latent.ellipse: decode energy energy_grad_z energy_curvature_z energy_grad_y energy_grad_params landscape
latent.horn: radii curve decode energy energy_grad_y energy_grad_params landscape
latent.inference: grid latents.like
physics.boltzmann: fields hidden visible sample free_energy_of grad_params
sparse.sparse_coding: unit_columns decode energy cost_grad_z energy_grad_y energy_grad_params gap kkt_residual
sparse.regularized: decode energy energy_grad_params
sparse.predictive: run encode decode distance energy smooth_grad_z energy_grad_y energy_grad_params augmented
sparse.convolutional: unit_kernels decode energy cost_grad_z energy_grad_y energy_grad_params iterates
sparse.convolutional_autoencoder: run encode decode distance energy smooth_grad_z energy_grad_y energy_grad_params
autoencoders.autoencoder: energy energy_grad_y energy_grad_y_hat energy_grad_params
autoencoders.contractive: penalty penalty_grad
autoencoders.network: untied gathered
autoencoders.target_propagation: energy energy_grad_z energy_grad_y energy_grad_params
autoencoders.variational: sample cost parts
"""
"""Equations as they stand in the notes: for rows and for paths of rows, for real numbers and for complex ones. Whoever
hands in data (`init`, `infer`, `free_energy` and its gradients, `fit`) has had it checked before."""

INNER_LOOPS = """
data.pen: pen_line
foundations.training: minimize.params
latent.inference: exhaustive conjugate_gradient l_bfgs line_search newton wrap
latent.nearest_point: nearest_angle
physics.hopfield: visit turned
sparse.active_set: solve newton signs_of follow_path
sparse.convolutional_dictionary: moments kernel_cost_grad descend
sparse.convolutional_working_set: solve candidates largest_eigenvalue
sparse.coupled_lista: select_and_shrink
sparse.fast_fista: solve
sparse.gabor: evaluate expand
sparse.gram_form: pose blocks correlation largest certify certified
sparse.lista: unroll vjp_params vjp_y
sparse.operator_fista: fista settle duality_gap
sparse.supports: solve_signs
sparse.sweeps: descent sweeps
sparse.textbook: lipschitz ista fista coordinate_descent
"""
"""Steps of a method, called many times by the function that has checked what they are about."""

DISK = """
__main__: title main
data.idx: read_idx
data.locations: data_folder
data.mnist: load load_or_synthetic
data.optional: optional
data.photographs: load read_image
"""
"""They read files and the network; tests/data has doubles of both."""

DOORS = """
autoencoders.network: checked.analytic
foundations.layers: checked_layers.name checked_layers.first checked_layers.last checked_layers.analytic
physics.boltzmann: checked.analytic checked_params.analytic
foundations.validation: array.name array.shape squarable.name squarable.shape signs.name signs.shape positive.name
    non_negative.name count.name count.minimum choice.name choice.options floating.name generator.name
    sample_weights.like rank instance function.name flag.name log_variance.name log_variance.shape largest_squarable
    array.finite array.empty array.analytic squarable.empty squarable.analytic positive.infinite positive.moderate
"""
"""What a door is told of the argument comes from the code; `rank` only looks."""


def _names(text: str) -> set[str]:
    lines = text.replace("\n    ", " ").strip().splitlines()
    return {
        f"{module}.{name}" for module, _, names in (line.partition(":") for line in lines) for name in names.split()
    }


ON_DISK = _names(DISK)
TRUSTED = set().union(*map(_names, (MATHEMATICS, INNER_LOOPS, DISK, DOORS)))

MAY_BE_ZERO = _names("""
autoencoders.target_propagation: lam
autoencoders.variational: last
data.ellipse: noise x
foundations.gradient_check: directions
foundations.optimizers: b1 b2 mu
foundations.validation: value
latent.free_energy: axis
physics.boltzmann: std
physics.contrastive_divergence: decay
physics.mechanics: g n_trace
physics.modern_hopfield: n_trace
sparse.convolutional_autoencoder: alpha
sparse.convolutional_dictionary: forgetting
sparse.dictionary: forgetting
sparse.predictive: alpha
sparse.regularized: level
""")
"""Numbers of which 0 is one: a weight that may be missing, noise that may be none."""
