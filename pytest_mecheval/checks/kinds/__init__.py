"""One file, one kind of claim; dropping a module here is all it takes to add one."""
