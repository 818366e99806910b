"""Recovery of pruned models without gradients."""
