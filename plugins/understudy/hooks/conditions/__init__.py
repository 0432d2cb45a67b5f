"""What is wrong without anybody deciding anything, asked by each sweep."""
