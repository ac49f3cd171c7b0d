"""deephar: poses and actions of people in pictures and videos, learnt together."""
