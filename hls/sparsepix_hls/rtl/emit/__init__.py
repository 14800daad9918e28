"""SystemVerilog, as text and as a project."""
