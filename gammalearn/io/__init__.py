"""Files: finding, opening, reading in a child process, writing beside and renaming."""
