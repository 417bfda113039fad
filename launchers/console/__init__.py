"""What all commands share: options, progress, exit codes."""
