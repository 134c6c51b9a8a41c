"""Drawing a workflow's graph: places in layers, as SVG and as text. Pure; the same graph gives the same picture."""
