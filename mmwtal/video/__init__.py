"""Reading videos by their time stamps."""
