"""Images: fetched, kept, unpacked once, and shared by the containers that are made from them."""
