/* Gradient descent of W3 W2 W1 on [[*, 1], [1, 0]] with half the sum of squares, written as one would in C: products
 * that several gradients share are computed once. No loss, no stopping, no record. The arrays hold the entries of W1,
 * W2, W3 row by row, lanes last. */

#include <stddef.h>

enum { ENTRIES = 12, TOGETHER = 16 };

/* One step of the entries e(0) ... e(11). */
#define STEP(e, h)                                                                                         \
    {                                                                                                      \
        double a00 = e(0), a01 = e(1), a10 = e(2), a11 = e(3);                                             \
        double b00 = e(4), b01 = e(5), b10 = e(6), b11 = e(7);                                             \
        double c00 = e(8), c01 = e(9), c10 = e(10), c11 = e(11);                                           \
        double p00 = b00 * a00 + b01 * a10, p01 = b00 * a01 + b01 * a11;                                   \
        double p10 = b10 * a00 + b11 * a10, p11 = b10 * a01 + b11 * a11;                                   \
        double r01 = c00 * p01 + c01 * p11 - 1, r10 = c10 * p00 + c11 * p10 - 1, r11 = c10 * p01 + c11 * p11; \
        double o00 = c10 * r10, o01 = c00 * r01 + c10 * r11;                                               \
        double o10 = c11 * r10, o11 = c01 * r01 + c11 * r11;                                               \
        e(8) = c00 - h * (r01 * p01);                                                                      \
        e(9) = c01 - h * (r01 * p11);                                                                      \
        e(10) = c10 - h * (r10 * p00 + r11 * p01);                                                         \
        e(11) = c11 - h * (r10 * p10 + r11 * p11);                                                         \
        e(4) = b00 - h * (o00 * a00 + o01 * a01);                                                          \
        e(5) = b01 - h * (o00 * a10 + o01 * a11);                                                          \
        e(6) = b10 - h * (o10 * a00 + o11 * a01);                                                          \
        e(7) = b11 - h * (o10 * a10 + o11 * a11);                                                          \
        e(0) = a00 - h * (b00 * o00 + b10 * o10);                                                          \
        e(1) = a01 - h * (b00 * o01 + b10 * o11);                                                          \
        e(2) = a10 - h * (b01 * o00 + b11 * o10);                                                          \
        e(3) = a11 - h * (b01 * o01 + b11 * o11);                                                          \
    }

void one_lane(double *entries, ptrdiff_t steps, double h)
{
    double w[ENTRIES];
    for (int i = 0; i < ENTRIES; i++) w[i] = entries[i];
#define OF_ONE(i) w[i]
    for (ptrdiff_t k = 0; k < steps; k++) STEP(OF_ONE, h)
    for (int i = 0; i < ENTRIES; i++) entries[i] = w[i];
}

/* Lanes by so many that they stay in the nearest cache for all steps; their number is a multiple of TOGETHER. */
void many_lanes(double *entries, ptrdiff_t lanes, ptrdiff_t steps, double h)
{
    for (ptrdiff_t first = 0; first < lanes; first += TOGETHER) {
        double w[ENTRIES][TOGETHER];
        for (int i = 0; i < ENTRIES; i++)
            for (int j = 0; j < TOGETHER; j++) w[i][j] = entries[i * lanes + first + j];
#define OF_MANY(i) w[i][j]
        for (ptrdiff_t k = 0; k < steps; k++)
            for (int j = 0; j < TOGETHER; j++) STEP(OF_MANY, h)
        for (int i = 0; i < ENTRIES; i++)
            for (int j = 0; j < TOGETHER; j++) entries[i * lanes + first + j] = w[i][j];
    }
}
