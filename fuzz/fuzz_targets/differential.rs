#![no_main]
hourseal_fuzz::target!(differential);
