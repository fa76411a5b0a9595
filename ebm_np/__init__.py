"""Energy-based models as LeCun and Canziani teach them, from scratch in NumPy.

The chapters:

1. `ebm_np.latent` - the smallest latent-variable model, its parts, and a second one; start with `ellipse`
2. `ebm_np.sparse` - a latent variable that is kept sparse, networks that guess it, and images as a whole
3. `ebm_np.autoencoders` - codes that are computed
4. `ebm_np.physics` - where the idea comes from; a memory that is nothing but an energy, and one that is trained
5. `ebm_np.foundations` - what they stand on; `gradient_check` is for gradients of your own
6. `ebm_np.data` - what they look at

`python -m ebm_np` prints the reading order: every module, with what it is about.
"""

__version__ = "0.1.0"
