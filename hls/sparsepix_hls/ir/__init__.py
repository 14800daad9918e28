"""The intermediate representation: what a model is once every quantizer has become a type."""
