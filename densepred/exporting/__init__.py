"""Trained models in files of other programs (ONNX, torch.export), and the way back."""
