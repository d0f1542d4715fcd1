"""How a suite is computed: harness, placement on devices, adapters, batches."""
