"""The stages of a design as modules of SystemVerilog: each reads what the one before it makes."""
