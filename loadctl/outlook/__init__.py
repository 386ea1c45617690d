"""What is expected of the hours to come: daylight, prices, and the sun that the house will not use itself."""
