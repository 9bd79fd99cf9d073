"""The subcommands of `mecheval`, one file each: `HELP`, `arguments(parser)`, `run(options) -> text`."""
