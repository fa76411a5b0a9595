"""What the chapters look at: ellipse and horn, handwritten digits, photographs and their patches, letters.

Nothing falls back in silence: whoever returns stand-in data says so in the log and in the `source` that figures print.
"""
