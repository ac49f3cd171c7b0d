"""Safe readers of foreign files: nothing in a file that har_bench opens can run code."""
