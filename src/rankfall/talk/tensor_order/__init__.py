"""The experiments tensor-order3 and tensor-order4: one declaration, at two orders."""
