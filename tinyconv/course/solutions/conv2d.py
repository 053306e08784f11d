"""conv2d: two-dimensional convolution with stride and padding.

    x  (N, C, H, W)      weight  (O, C, KH, KW)      stride  (SH, SW)
    y  (N, O, OH, OW)    bias    (O,)                padding (PH, PW): so many zeros on either side of x

    OH = floor((H + 2 PH - KH) / SH) + 1, OW likewise

forward         y[n,o,i,j] = bias[o] + sum_{c,u,v} weight[o,c,u,v] padded[n, c, i SH + u, j SW + v]

Derivation. forward goes through the taps (u, v) of the window. What one tap sees at all OH x OW places at
once is a strided slice of padded, and each tap does what a dense layer does, at every place alike:

    y[n,o,i,j] += sum_c weight[o,c,u,v] tap[n,c,i,j]

so one tap hands back

    dtap[n,c,i,j]     = sum_o weight[o,c,u,v] dy[n,o,i,j]
    dweight[o,c,u,v]  = sum_{...} dy[n,o,i,j] tap[n,c,i,j]

Go on: over which indices does dweight add up? One pixel of padded is seen by several taps: how do their dtaps
come together in dpadded? And what is dx, if padded is x with zeros around it? What is dx in rows and columns
that no window reaches?
"""
import numpy as np


def forward(x, weight, bias, stride, padding):
    (O, _, KH, KW), (SH, SW), (PH, PW) = weight.shape, stride, padding
    padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
    OH, OW = (padded.shape[2] - KH) // SH + 1, (padded.shape[3] - KW) // SW + 1
    y = np.zeros((len(x), O, OH, OW), x.dtype) + bias[:, None, None]
    for u in range(KH):
        for v in range(KW):
            tap = padded[:, :, u:u + SH * OH:SH, v:v + SW * OW:SW]
            y = y + np.einsum("oc,ncij->noij", weight[:, :, u, v], tap)
    return y


def backward_input(dy, x, weight, stride, padding):
    """dx (N, C, H, W). Of x only the shape is needed."""
    (N, C, H, W), (SH, SW), (PH, PW), (OH, OW) = x.shape, stride, padding, dy.shape[2:]
    dpadded = np.zeros((N, C, H + 2 * PH, W + 2 * PW))
    for u in range(weight.shape[2]):
        for v in range(weight.shape[3]):
            # reverses: y += weight[u, v] tap; taps overlap, so each adds to what the others left
            dpadded[:, :, u:u + SH * OH:SH, v:v + SW * OW:SW] += np.einsum("oc,noij->ncij", weight[:, :, u, v], dy)
    return dpadded[:, :, PH:PH + H, PW:PW + W]               # reverses: np.pad


def backward_weight(dy, x, weight, stride, padding):
    """dweight (O, C, KH, KW). Of weight only the shape is needed."""
    (KH, KW), (SH, SW), (PH, PW), (OH, OW) = weight.shape[2:], stride, padding, dy.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
    dweight = np.empty(weight.shape)
    for u in range(KH):
        for v in range(KW):
            tap = padded[:, :, u:u + SH * OH:SH, v:v + SW * OW:SW]
            dweight[:, :, u, v] = np.einsum("noij,ncij->oc", dy, tap)       # reverses: y += weight[u, v] tap
    return dweight


def backward_bias(dy):
    """dbias (O,)."""
    return dy.sum(axis=(0, 2, 3))                            # reverses: y = ... + bias
