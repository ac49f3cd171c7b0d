"""What deephar's networks learn from: people in pictures as crops, poses and actions, by the original's rules."""
