// What this processor can multiply and add at most: the limit that rates are shown against.
#ifndef POSGRAD_PEAK_H
#define POSGRAD_PEAK_H

// FLOP/s of one thread that does nothing but multiply and add in the registers that this build
// uses, measured for some `milliseconds`.
double peak_flops(double milliseconds);

#endif
