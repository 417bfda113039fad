"""What long verbs do, one module each, imported when they run: `verbs` reads options alone."""
