"""What several systems truly share: blocks of networks, padding, memory banks, ridges."""
