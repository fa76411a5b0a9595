"""What the chapters look at: ellipse and horn, handwritten digits, photographs and their patches, letters, bars.

Reading order: `ellipse`; `digits` (drawn here, by the strokes in `pen`), `mnist` (the real ones, from `idx` files);
`photographs`, `patches`, `contrast`, `images`; `letters`; `bars`. The rest is small: `locations`, `optional`.

Nothing falls back in silence: whoever returns stand-in data says so in the log and in the `source` that figures print.
"""
