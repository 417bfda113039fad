"""What a forecast is judged by: predicted and true frames in, one number per sample out."""
