"""What a service says, by topic: the methods of `Service`, each file a part of them."""
