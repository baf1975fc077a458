def breaches(link): return []
