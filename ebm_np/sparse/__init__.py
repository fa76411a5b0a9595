"""Notes 08-2: latent variables whose information is limited.

Reading order: `regularized` (why z must be limited), `sparse_coding` (the model), `textbook` (how z is found),
`dictionary` (how W is learned), `gabor` (what it learns of natural images), `lista` (a network that guesses z),
`predictive` (an encoder and a decoder trained together), `coupled_lista` (how few numbers such a network must learn).
For whole images: `convolutional` (the model), `operator_fista` (how maps are found), `convolutional_dictionary`
(how kernels are learned), `convolutional_autoencoder` (a network that guesses the maps), `convolutional_working_set`
(the same maps, many times faster). The fast path for large batches may be read last: `gram_form`, `fast_fista`,
`sweeps`, `supports`, `active_set`.
"""
