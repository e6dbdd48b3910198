// UNROLL(n) before a loop of a constant count, at most n: it becomes straight code, and arrays that
// it indexes become registers. gcc and clang each have a word for that and pass over the other's.
#ifndef POSGRAD_UNROLL_H
#define POSGRAD_UNROLL_H

#ifdef __clang__
#define UNROLL(n) _Pragma("clang loop unroll(full)")
#else
#define UNROLL_WORDS(words) _Pragma(#words)
#define UNROLL(n) UNROLL_WORDS(GCC unroll n)
#endif

#endif
