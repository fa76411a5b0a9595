"""Energy-based models as LeCun and Canziani teach them, from scratch in NumPy.

Reading order of the book:

1. `ebm_np.latent.ellipse` - the smallest latent-variable model: energy, inference, free energy, training
2. `ebm_np.latent.free_energy`, `.inference`, `.losses`, `.denoising`, `.horn` - its parts, and a second model
3. `ebm_np.sparse.regularized`, `.sparse_coding`, `.textbook`, `.dictionary` - a latent variable that is held short
4. `ebm_np.sparse.lista`, `.predictive`, `.coupled_lista` - networks that guess what inference would find
5. `ebm_np.sparse.convolutional`, `.convolutional_dictionary`, `.convolutional_autoencoder` - of images as a whole
6. `ebm_np.autoencoders.autoencoder`, `.denoising`, `.contractive`, `.target_propagation`, `.variational`,
   `.generation`, `.linear_vae` - codes that are computed
7. `ebm_np.physics.mechanics`, `.hopfield`, `.capacity`, `.mean_field`, `.dense_memory`, `.modern_hopfield` - where the
   idea comes from, a memory that is nothing but an energy, and where it went; `.boltzmann`, `.partition`,
   `.contrastive_divergence` - one that is trained
8. `ebm_np.foundations` - what they stand on; start with `gradient_check`, to check gradients of your own
9. `ebm_np.data` - what they look at
"""

__version__ = "0.1.0"
