"""The backends' side: groups, pools, links, tunnels."""
