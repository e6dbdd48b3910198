// Builders of all ops, one a file in ops/. Shapes as in ag.h; "..." is any leading dimensions.
//
// Every builder records a node and returns its tensor; a wrong shape is recorded on the graph
// (ag_fail) and a placeholder returned.
#ifndef POSGRAD_AG_OPS_H
#define POSGRAD_AG_OPS_H

#include "ag.h"

typedef struct ag_tensor ag_t; // only to keep the prototypes below on one line each

// --- elementwise, any shape: ops/unary.c (one row each in its table)
ag_t *ag_exp(struct ag_graph *graph, ag_t *x);
ag_t *ag_log(struct ag_graph *graph, ag_t *x);
ag_t *ag_sin(struct ag_graph *graph, ag_t *x);
ag_t *ag_cos(struct ag_graph *graph, ag_t *x);
ag_t *ag_tanh(struct ag_graph *graph, ag_t *x);
ag_t *ag_sigmoid(struct ag_graph *graph, ag_t *x);
ag_t *ag_softplus(struct ag_graph *graph, ag_t *x);
ag_t *ag_relu(struct ag_graph *graph, ag_t *x);
ag_t *ag_abs(struct ag_graph *graph, ag_t *x);
ag_t *ag_sqrt(struct ag_graph *graph, ag_t *x);
ag_t *ag_square(struct ag_graph *graph, ag_t *x);
ag_t *ag_reciprocal(struct ag_graph *graph, ag_t *x);
ag_t *ag_neg(struct ag_graph *graph, ag_t *x);
// y = scale * x + shift
ag_t *ag_affine(struct ag_graph *graph, ag_t *x, double scale, double shift);
// The exact GELU, x * Phi(x) (Hendrycks and Gimpel 2016, arXiv 1606.08415).
ag_t *ag_gelu(struct ag_graph *graph, ag_t *x);

// --- two tensors with broadcasting: dimensions are aligned at the end, size 1 is repeated
ag_t *ag_add(struct ag_graph *graph, ag_t *a, ag_t *b);
ag_t *ag_sub(struct ag_graph *graph, ag_t *a, ag_t *b);
ag_t *ag_mul(struct ag_graph *graph, ag_t *a, ag_t *b);
// a b for a sine or cosine: in double, less whole turns, so that no digits are lost where a place
// of up to 2^24 meets a frequency.
ag_t *ag_angle(struct ag_graph *graph, ag_t *a, ag_t *b);
ag_t *ag_div(struct ag_graph *graph, ag_t *a, ag_t *b);

// --- shape
ag_t *ag_reshape(struct ag_graph *graph, ag_t *x, struct ag_shape shape); // a view
// Dimension `dim` (negative counts from the end) reduced to [start, start + length).
ag_t *ag_slice(struct ag_graph *graph, ag_t *x, int dim, int64_t start, int64_t length);
ag_t *ag_concat(struct ag_graph *graph, int count, ag_t *const *x, int dim);
ag_t *ag_transpose(struct ag_graph *graph, ag_t *x, int dim_a, int dim_b); // swaps two dimensions

// --- reductions along one dimension (kept with size 1), and over everything (scalar)
ag_t *ag_sum(struct ag_graph *graph, ag_t *x, int dim);
ag_t *ag_mean(struct ag_graph *graph, ag_t *x, int dim);
ag_t *ag_max(struct ag_graph *graph, ag_t *x, int dim); // gradient to the first maximum
ag_t *ag_sum_all(struct ag_graph *graph, ag_t *x);
ag_t *ag_mean_all(struct ag_graph *graph, ag_t *x);
// Inclusive prefix sums along `dim`; `reverse` sums from the end.
ag_t *ag_cumsum(struct ag_graph *graph, ag_t *x, int dim, bool reverse);

// --- indexed rows
// out[..., :] = table[index[...], :] for table [R, C...] and any index shape: embeddings, buckets.
// Backward adds in index order, so its bits do not depend on the threads.
ag_t *ag_gather(struct ag_graph *graph, ag_t *table, ag_t *index);
// out [rows, C...]: row r is the sum of x[i, :] over i with index[i] == r; x is [N, C...].
ag_t *ag_scatter_add(struct ag_graph *graph, ag_t *x, ag_t *index, int64_t rows);

// --- positions, as an index [B, T]; neither has a gradient
enum ag_sampling {
    AG_RANDOM_POSITIONS, // T distinct ones, in order
    AG_SHIFTED_POSITIONS // o .. o + T - 1, one o a row; 0 .. T - 1 where the run is no training
};
// Positions below `range`, new for each step: those of row b are a function of the run's seed and
// step and of b. Other numbers in training and outside of it.
ag_t *ag_sample_positions(struct ag_graph *graph, enum ag_sampling kind, int64_t batch,
                          int64_t length, int64_t range);
// Index [B, T, T]: the entry of `row` [2R - 1] for the offset p_j - p_i of positions below R, at
// offset + R - 1.
ag_t *ag_pair_index(struct ag_graph *graph, ag_t *position, ag_t *row);

// --- products
// [..., K] times weight [N, K] transposed, plus bias [N] (NULL: none) gives [..., N].
ag_t *ag_linear(struct ag_graph *graph, ag_t *x, ag_t *weight, ag_t *bias);
// The same plus `residual` [..., N].
ag_t *ag_linear_add(struct ag_graph *graph, ag_t *x, ag_t *weight, ag_t *bias, ag_t *residual);
// The same as ag_linear, then GELU: in one pass, and its derivative is kept instead of what it is
// of.
ag_t *ag_linear_gelu(struct ag_graph *graph, ag_t *x, ag_t *weight, ag_t *bias);
// a [..., M, K] (or [..., K, M] when transpose_a) times b [..., K, N] (or [..., N, K]); leading
// dimensions are equal, or one side has none.
ag_t *ag_matmul(struct ag_graph *graph, ag_t *a, bool transpose_a, ag_t *b, bool transpose_b);

// --- along the sequence
// h_t = f(x_t + U h_{t-1}) for x [B, T, C] and weight U [C, C]; f is tanh or the identity; h_{-1}
// is start [C] (NULL: zero).
ag_t *ag_recurrence(struct ag_graph *graph, ag_t *x, ag_t *weight, ag_t *start, bool tanh);
// y[b,t,:] = sum_k weight[k,:] x[b,index[t,k],:] for x [B, T, C], weight [K, C], index [T, K]; -1
// reads zero, and so does a row where mask, index [B, T], is 0 (NULL: none; [B / n, T]: x is n
// streams of the same rows, one after the other).
ag_t *ag_taps(struct ag_graph *graph, ag_t *x, ag_t *weight, ag_t *index, ag_t *mask);
// dp/dt = W_down [relu(W_up [p; t] + c_up); t] + c_down from p(0) = start [..., C], by the
// classical Runge-Kutta method with `substeps` steps from position to position: p(i dt) as [T, ...,
// C].
struct ag_neural_ode {
    ag_t *start;
    ag_t *up_weight, *up_bias, *down_weight, *down_bias; // [C, C + 1], [C]
    double dt;
    int64_t substeps, length; // length is T
};
ag_t *ag_neural_ode(struct ag_graph *graph, const struct ag_neural_ode *ode);

// --- what a Transformer is made of
// Over the last dimension; gain and bias are [C] (Ba, Kiros, Hinton 2016, arXiv 1607.06450).
ag_t *ag_layer_norm(struct ag_graph *graph, ag_t *x, ag_t *gain, ag_t *bias, double epsilon);
ag_t *ag_softmax(struct ag_graph *graph, ag_t *x); // over the last dimension
// Inverted dropout; the mask is a function of the run's seed and step and the name of the node, and
// is recomputed by backward (Srivastava et al. 2014). Rate 0 returns x itself.
ag_t *ag_dropout(struct ag_graph *graph, ag_t *x, double rate);
// Mean of -log softmax(logits)[target] over the rows whose target is >= 0: logits [..., V], target
// index [...]. Rows with a negative target are ignored; when all are, the loss is 0. `smoothing` e
// in [0, 1) takes 1 - e of the target and e / V of every class for it (Szegedy et al. 2016, arXiv
// 1512.00567).
ag_t *ag_cross_entropy(struct ag_graph *graph, ag_t *logits, ag_t *target, double smoothing);

// Which two channels of a head are pair c, of P pairs.
enum ag_layout {
    AG_PAIR, // (2c, 2c + 1): RoFormer, GPT-J
    AG_HALF, // (c, c + P): GPT-NeoX, Hugging Face's LLaMA
};
// x [B, T, C], each head's first 2P channels turned pair by pair, y_a = x_a cos - x_b sin and y_b =
// x_b cos + x_a sin; `inverse` takes sin with the other sign. cos and sin are both [T, P], [T, H,
// P], [B, T, 1, P] or [B, T, H, P]; they need not be of one angle.
ag_t *ag_rotate(struct ag_graph *graph, ag_t *x, ag_t *cosine, ag_t *sine, int64_t heads,
                enum ag_layout layout, bool inverse);
// What `y` was made of, where ag_rotate made it; else false.
struct ag_rotation {
    ag_t *x, *cosine, *sine;
    enum ag_layout layout;
    bool inverse;
};
bool ag_rotation_of(const ag_t *y, struct ag_rotation *rotation);

// How logits become weights. n is the number of keys of the sequence that are not hidden.
enum ag_normaliser {
    AG_SOFTMAX,
    AG_LINEAR,   // not of ag_attention: ag_linear_attention
    AG_RELU2,    // A_ij = max(S_ij, 0)^2 / n (Hua et al. 2022, arXiv 2202.10447)
    AG_L2,       // A_ij = exp(S_ij) / sqrt(sum_k exp(2 S_ik)) (Su 2022, article 9105)
    AG_SOFTMAX1, // A_ij = exp(S_ij) / (1 + sum_k exp(S_ik))
};

// A table that is looked up by the relative position of query i and key j. Its rows have D columns
// (shared by the heads), C columns (head h has h*D..h*D+D-1), or, for biases and factors, H.
struct ag_relative {
    ag_t *table; // [rows, columns]; NULL: absent
    // The row of (i, j): NULL is j - i + T - 1, one row an offset; else an index by offset
    // [T + S - 1], or dense [T, S], or [B, T, S].
    ag_t *index;
    // Of biases and factors: the width W of the grid that queries and keys are, row by row; 0: they
    // are none. Offsets are then of both coordinates, (y_j - y_i + T / W - 1) (2W - 1) + x_j - x_i
    // + W - 1, and so many rows, (T / W + S / W - 1) (2W - 1), has a table without an index, and so
    // many entries an index by offset, the only one there may be.
    int64_t grid_width;
};

// The attention op that carries the zoo. Every input but query, key and value may be absent (NULL),
// and costs nothing then. For each head
//   S_ij = scale (<q_i, k_j> + <rq_i, R[r(i,j)]> + <rk_j, K[r(i,j)]>)
//          + bias[r(i,j)] + dense_bias_ij + row_bias_i + column_bias_j
//   A    = normaliser over the keys that i may see of S
//   O_i  = sum_j dropout(A_ij factor[r(i,j)]) (v_j + V[r(i,j)])
struct ag_attention {
    ag_t *query, *key, *value; // [B, T, C], [B, S, C], [B, S, C]; head h is columns h*D..h*D+D-1
    // Index [B, S]: 0 hides the key from every query. What a key holds that a query may not see, by
    // this or by the causal mask, does not matter to a bit, as long as it is finite.
    ag_t *key_mask;
    // What the relative tables are read with: [B, T, C], [B, S, C]; NULL: query and key themselves.
    ag_t *relative_query, *relative_key;
    struct ag_relative query_relative, key_relative, value_relative; // R, K, V: [rows, D or C]
    struct ag_relative bias, factor;                                 // [rows, H]
    ag_t *dense_bias;                                                // [H, T, S] or [B, H, T, S]
    ag_t *row_bias, *column_bias;                                    // [B, T, H], [B, S, H]
    int64_t heads;
    double scale;
    bool causal; // j <= i only; needs S == T
    enum ag_normaliser normaliser;
    double dropout;
};
// [B, T, C]. A query that may see no key gives 0.
ag_t *ag_attention(struct ag_graph *graph, const struct ag_attention *attention);

// O_i = sum_j <turned_query_i, turned_key_j> V_j / sum_j <query_i, key_j>, head by head, over the
// keys that are allowed; time and memory are linear in the length. The features are positive where
// they are `query` and `key`, and turned by rotary encodings (else the same tensors) where they are
// `turned_query` and `turned_key`. [B, T, C]; a query that may see no key gives 0.
struct ag_linear_attention {
    ag_t *turned_query, *query; // [B, T, C]
    ag_t *turned_key, *key;     // [B, S, C]
    ag_t *value;                // [B, S, C]
    ag_t *key_mask;             // index [B, S] or NULL: 0 hides the key from every query
    int64_t heads;
    bool causal; // j <= i only; needs S == T
};
ag_t *ag_linear_attention(struct ag_graph *graph, const struct ag_linear_attention *attention);

#endif
