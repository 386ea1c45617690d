"""What ties the rooms together: the control loop, the switchboard, the memory, metrics, the doctor."""
