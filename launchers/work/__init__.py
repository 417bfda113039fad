"""What long verbs do, one module each, imported when they run; `verbs` has their options."""
