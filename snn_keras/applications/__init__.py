"""Networks of the papers, ready to train and convert."""

from snn_keras.applications.mnist_convnet import mnist_convnet as mnist_convnet
