#![no_main]
hourseal_fuzz::target!(proof);
