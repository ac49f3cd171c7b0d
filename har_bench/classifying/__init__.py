"""Actions of whole clips from skeletons: persons, preparations, sampling and streams, shared by every model of them."""
