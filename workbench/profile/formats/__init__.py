"""A profile in the formats of other people's viewers, one file each: text in, text out, no files."""
