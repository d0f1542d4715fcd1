"""Commands in comments: grammar, verbs, arguments, targets and answers. Each slice defines its own verbs."""
